package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// kind is what the operator reconciles.
var kind = schema.GroupVersionKind{Group: "messaging.example.com", Version: "v1", Kind: "Topic"}

// fieldOwner is the field manager of the statuses written.
const fieldOwner = "topic-operator"

// defaultDelay is about what a small custom resource takes in real life.
const defaultDelay = 3 * time.Second

// Options change what the operator does. The zero value is a well-behaved one.
type Options struct {
	// Delay is the time from seeing a generation to its end. Nil means three seconds.
	Delay func(topic *unstructured.Unstructured) time.Duration
	// Behavior chooses how a Topic is treated. Nil means [AnnotatedBehavior].
	Behavior func(topic *unstructured.Unstructured) (Behavior, error)
	// Logger gets controller-runtime's log. The zero value discards it.
	Logger logr.Logger
	// Clock measures the delay. Nil means the real one.
	Clock clock.PassiveClock
}

func (o Options) withDefaults() Options {
	if o.Delay == nil {
		o.Delay = After(defaultDelay)
	}
	if o.Behavior == nil {
		o.Behavior = AnnotatedBehavior
	}
	if o.Logger.GetSink() == nil {
		o.Logger = logr.Discard()
	}
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	return o
}

// Operator is a running operator.
type Operator struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // set before done is closed
}

// Start runs an operator against the cluster of cfg, where the Topic's definition
// must be there already. It returns when the operator watches, or an error when ctx
// is done before. From then on the operator runs until Stop, whatever becomes of
// ctx; it survives the API server being away.
func Start(ctx context.Context, cfg *rest.Config, options Options) (*Operator, error) {
	options = options.withDefaults()
	// controller-runtime complains on stderr, with a stack trace, about a process that
	// never chose its global logger. The first choice in the process stands.
	log.SetLogger(options.Logger)
	mgr, err := newManager(ctx, cfg, options)
	if err != nil {
		return nil, fmt.Errorf("start the operator: %w", err)
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	o := &Operator{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(o.done)
		defer cancel()
		o.err = mgr.Start(running)
	}()
	release := context.AfterFunc(ctx, cancel)
	synced := mgr.GetCache().WaitForCacheSync(running)
	if bound := release(); !synced || !bound {
		return nil, errors.Join(errors.New("start the operator: its cache does not fill"), context.Cause(ctx), o.Stop())
	}
	return o, nil
}

// Stop ends the operator and waits for that. It returns why the operator ended
// before, if it did.
func (o *Operator) Stop() error {
	o.cancel()
	<-o.done
	if o.err != nil {
		return fmt.Errorf("run the operator: %w", o.err)
	}
	return nil
}

func newManager(ctx context.Context, cfg *rest.Config, options Options) (manager.Manager, error) {
	anotherOfThatName := true // one operator for each cluster of this process
	noWait := time.Duration(0)
	mgr, err := ctrl.NewManager(cfg, manager.Options{
		Scheme:                  runtime.NewScheme(), // unstructured objects only
		Logger:                  options.Logger,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		Controller:              config.Controller{SkipNameValidation: &anotherOfThatName},
		GracefulShutdownTimeout: &noWait,
		Client:                  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
		Cache: cache.Options{
			DefaultTransform: cache.TransformStripManagedFields(), // most of an object's memory; an update without them keeps them
			// In place of client-go's, which writes to stderr while the API server is away.
			DefaultWatchErrorHandler: func(_ context.Context, _ *toolscache.Reflector, err error) {
				options.Logger.V(1).Info("the watch ended and begins anew", "error", err.Error())
			},
		},
	})
	if err != nil {
		return nil, err
	}
	topic := &unstructured.Unstructured{}
	topic.SetGroupVersionKind(kind)
	// Asked for here so that Start waits for it.
	if _, err := mgr.GetCache().GetInformer(ctx, topic, cache.BlockUntilSynced(false)); err != nil {
		return nil, err
	}
	r := newReconciler(client.WithFieldOwner(mgr.GetClient(), fieldOwner), options)
	return mgr, ctrl.NewControllerManagedBy(mgr).Named("topic").For(topic).Complete(r)
}
