package edge

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/lambda/messages"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/crossapply/crossapply/shared/fault"
)

// Event is a function's input: it says what every log line about it carries.
type Event interface {
	LogAttrs() []slog.Attr
}

// Handler adapts a function's handler to [lambda.Handler].
type Handler[In Event, Out any] struct {
	stage  string
	handle func(context.Context, In) (Out, error)
	log    *slog.Logger
}

// New returns the Lambda handler for one stage of the workflow, which logs JSON
// lines to logs.
func New[In Event, Out any](stage string, logs io.Writer, handle func(context.Context, In) (Out, error)) *Handler[In, Out] {
	// The keys that CloudWatch Logs looks for in a function's JSON logs.
	// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
	keys := map[string]string{slog.TimeKey: "timestamp", slog.MessageKey: "message"}
	log := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if key, ok := keys[a.Key]; ok && len(groups) == 0 {
				a.Key = key
			}
			return a
		},
	}))
	return &Handler[In, Out]{stage: stage, handle: handle, log: log.With("stage", stage)}
}

// Invoke handles one event. Any error it returns is a
// [messages.InvokeResponse_Error] value: the runtime finds the error's name by
// a direct type assertion, so a wrapped one would lose it.
func (h *Handler[In, Out]) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if deadline, ok := ctx.Deadline(); ok {
		// End first and say why, before Lambda ends the sandbox without a word.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-spare))
		defer cancel()
	}
	log := h.log
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		log = log.With("requestId", lc.AwsRequestID)
	}
	return h.invoke(WithLogger(ctx, log), payload)
}

// spare is how long before the function's own timeout a handler is told to end.
const spare = 2 * time.Second

func (h *Handler[In, Out]) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var in In
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, report(Logger(ctx), fault.Wrap(err, fault.InvalidRequest, "the event of %s cannot be read: %s", h.stage, describe(err)))
	}
	log := slog.New(Logger(ctx).Handler().WithAttrs(in.LogAttrs()))
	out, err := h.handle(WithLogger(ctx, log), in)
	if err != nil {
		return nil, report(log, err)
	}
	response, err := json.Marshal(out)
	if err != nil {
		return nil, report(log, err)
	}
	return response, nil
}

// describe says where the event is wrong without repeating any of it.
func describe(err error) string {
	var wrongType *json.UnmarshalTypeError
	if errors.As(err, &wrongType) {
		return wrongType.Field + " must be of type " + wrongType.Type.String() + ", not " + wrongType.Value
	}
	return err.Error()
}

// report logs the error, once, and gives it its outermost form.
func report(log *slog.Logger, err error) messages.InvokeResponse_Error {
	name := fault.NameOf(err)
	log.Error(err.Error(), "error", string(name))
	return messages.InvokeResponse_Error{Type: string(name), Message: err.Error()}
}

type loggerKey struct{}

// WithLogger returns a context that carries the logger of the event.
func WithLogger(ctx context.Context, log *slog.Logger) context.Context {
	return context.WithValue(ctx, loggerKey{}, log)
}

// Logger returns the logger of the event that ctx belongs to. Without one, as
// in a unit test, it logs nothing.
func Logger(ctx context.Context) *slog.Logger {
	if log, ok := ctx.Value(loggerKey{}).(*slog.Logger); ok {
		return log
	}
	return slog.New(slog.DiscardHandler)
}
