package hub

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	cw "github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatchactions"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"github.com/crossapply/crossapply/shared/contract"
	"github.com/crossapply/crossapply/shared/deployment"
	"github.com/crossapply/crossapply/shared/metrics"
)

// period is how long a metric is summed up.
func period() awscdk.Duration { return awscdk.Duration_Minutes(jsii.Number(5)) }

func (h *hubStack) newObservability(w workflow, functions map[string]awslambda.Function, deadLetters awssqs.Queue) {
	dashboard := cw.NewDashboard(h.Stack, jsii.String("Dashboard"), &cw.DashboardProps{
		DashboardName:   jsii.String(h.config.Name),
		DefaultInterval: awscdk.Duration_Days(jsii.Number(1)),
		PeriodOverride:  cw.PeriodOverride_AUTO,
	})
	dashboard.AddWidgets(
		graph("Executions", executions(w, "ExecutionsStarted"), executions(w, "ExecutionsSucceeded"),
			executions(w, "ExecutionsFailed"), executions(w, "ExecutionsTimedOut"), executions(w, "ExecutionsAborted")),
		graph("Child executions, one a target", h.targets("ExecutionsStarted"), h.targets("ExecutionsSucceeded"),
			h.targets("ExecutionsFailed"), h.targets("ExecutionsTimedOut"), h.targets("ExecutionsAborted")),
		h.outcomeGraph(),
		h.readyGraph(),
		graph("Discovery, one child an account", h.accounts("ExecutionsSucceeded"), h.accounts("ExecutionsFailed")),
		graph("Drift: targets that a dry run would change", h.drift()...),
	)
	var errors, throttles, durations, concurrency []cw.IMetric
	for _, v := range h.allVariants() {
		name := v.name()
		f := functions[name]
		label := jsii.String(name)
		errors = append(errors, f.MetricErrors(&cw.MetricOptions{Label: label, Statistic: jsii.String("Sum")}))
		throttles = append(throttles, f.MetricThrottles(&cw.MetricOptions{Label: label, Statistic: jsii.String("Sum")}))
		durations = append(durations, f.MetricDuration(&cw.MetricOptions{Label: label, Statistic: jsii.String("p99")}))
		concurrency = append(concurrency, f.Metric(jsii.String("ConcurrentExecutions"), &cw.MetricOptions{Label: label, Statistic: jsii.String("Maximum")}))
	}
	// A target that fails shows as an error of a function: errors alone are no
	// alarm.
	dashboard.AddWidgets(graph("Function errors", errors...), graph("Function throttles", throttles...),
		graph("Function duration (p99, ms)", durations...), graph("Concurrent invocations", concurrency...))
	h.newAlarms(w, throttles, deadLetters)
}

// quarter is the width of a widget, of the dashboard's 24 columns.
const quarter = 6

func graph(title string, lines ...cw.IMetric) cw.IWidget {
	return cw.NewGraphWidget(&cw.GraphWidgetProps{Title: jsii.String(title), Left: &lines, Width: jsii.Number(quarter)})
}

func executions(w workflow, name string) cw.IMetric {
	return w.machine.Metric(jsii.String(name), &cw.MetricOptions{
		Label: jsii.String(name[len("Executions"):]), Statistic: jsii.String("Sum"), Period: period(),
	})
}

// targets and accounts are metrics of the Maps' child executions.
func (h *hubStack) targets(name string) cw.IMetric { return h.childMetric(deployment.MapLabel, name) }
func (h *hubStack) accounts(name string) cw.IMetric {
	return h.childMetric(deployment.DiscoveryLabel, name)
}

// childMetric is a metric of the child executions of a Map, which count under its label.
// https://docs.aws.amazon.com/step-functions/latest/dg/concepts-examine-map-run.html
func (h *hubStack) childMetric(label, name string) cw.IMetric {
	return cw.NewMetric(&cw.MetricProps{
		Namespace: jsii.String("AWS/States"), MetricName: jsii.String(name),
		DimensionsMap: pointers(map[string]string{"StateMachineArn": h.machineARN() + "/" + label}),
		Statistic:     jsii.String("Sum"), Label: jsii.String(name[len("Executions"):]), Period: period(),
	})
}

// ended is how many targets ended in an outcome.
func (h *hubStack) ended(outcome contract.Outcome) cw.IMetric {
	return h.reported(metrics.Targets, outcome, "Sum", string(outcome))
}

// reported is a metric of the targets that ended in an outcome, which the report
// function writes with its log.
func (h *hubStack) reported(name string, outcome contract.Outcome, statistic, label string) cw.IMetric {
	return cw.NewMetric(&cw.MetricProps{
		Namespace: jsii.String(metrics.Namespace), MetricName: jsii.String(name),
		DimensionsMap: pointers(map[string]string{metrics.StateMachine: h.config.Name, metrics.Outcome: string(outcome)}),
		Statistic:     jsii.String(statistic), Label: jsii.String(label), Period: period(),
	})
}

// drift is how many targets a dry run would change.
func (h *hubStack) drift() []cw.IMetric {
	return []cw.IMetric{h.ended(contract.OutcomeWouldChange), h.ended(contract.OutcomeWouldCreate)}
}

func (h *hubStack) outcomeGraph() cw.IWidget {
	var lines []cw.IMetric
	for _, outcome := range contract.Outcomes() {
		lines = append(lines, h.ended(outcome))
	}
	return cw.NewGraphWidget(&cw.GraphWidgetProps{
		Title: jsii.String("Targets by outcome"), Left: &lines, Stacked: jsii.Bool(true), Width: jsii.Number(quarter),
	})
}

func (h *hubStack) readyGraph() cw.IWidget {
	var lines []cw.IMetric
	for _, statistic := range []string{"p50", "p90", "Maximum"} {
		lines = append(lines, h.reported(metrics.TargetSeconds, contract.OutcomeReady, statistic, statistic))
	}
	return graph("Time to Ready (s)", lines...)
}

// newAlarms makes the alarms: things that somebody should look at.
func (h *hubStack) newAlarms(w workflow, throttles []cw.IMetric, deadLetters awssqs.Queue) {
	// A metric is missing where nothing happened, and would take the sum with it.
	sum := func(expression string, terms map[string]cw.IMetric) cw.IMetric {
		return cw.NewMathExpression(&cw.MathExpressionProps{Expression: jsii.String(expression), UsingMetrics: &terms, Period: period()})
	}
	h.newAlarm("ExecutionFailed", "An execution failed or ran out of time: more targets failed than its request allows, or the request is wrong.",
		sum("FILL(failed, 0) + FILL(timedOut, 0)", map[string]cw.IMetric{
			"failed": executions(w, "ExecutionsFailed"), "timedOut": executions(w, "ExecutionsTimedOut"),
		}), 1)
	h.newAlarm("ExecutionAborted", "An execution was stopped the hard way: the report function says what became of its targets.",
		executions(w, "ExecutionsAborted"), 1)
	h.newAlarm("TargetFailed", "Targets failed or timed out, be it within what their request allows.",
		sum("FILL(failed, 0) + FILL(timedOut, 0)", map[string]cw.IMetric{
			"failed": h.ended(contract.OutcomeFailed), "timedOut": h.ended(contract.OutcomeTimedOut),
		}), 1)
	h.newAlarm("TargetRolledBack", "What was changed on targets has been taken back: a rollout failed, or somebody asked for it.",
		h.ended(contract.OutcomeRolledBack), 1)
	drift := h.drift()
	h.newAlarm("TargetDrifted", "A dry run found targets that are not as its request says.",
		sum("FILL(change, 0) + FILL(create, 0)", map[string]cw.IMetric{"change": drift[0], "create": drift[1]}), 1)
	h.newAlarm("AccountNotListed", "The clusters of accounts could not be listed: a selector may select more than was found.",
		h.accounts("ExecutionsFailed"), 1)
	// An alarm takes ten metrics at most, so each network has its own.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create-alarm-on-metric-math-expression.html
	throttled, terms := map[string]map[string]cw.IMetric{}, map[string][]string{}
	for i, v := range h.allVariants() {
		if throttled[v.network] == nil {
			throttled[v.network] = map[string]cw.IMetric{}
		}
		throttled[v.network][v.Name] = throttles[i]
		terms[v.network] = append(terms[v.network], "FILL("+v.Name+", 0)")
	}
	for _, network := range slices.Sorted(maps.Keys(terms)) {
		h.newAlarm(variant{network: network}.suffixed("FunctionThrottled"),
			"Invocations of the functions are throttled for a quarter of an hour: lower rollout.maxConcurrency, or raise the concurrency.",
			sum(strings.Join(terms[network], " + "), throttled[network]), 3)
	}
	if deadLetters != nil {
		h.newAlarm("ScheduleGaveUp", "A scheduled start was given up and lies in the dead-letter queue.",
			deadLetters.MetricApproximateNumberOfMessagesVisible(&cw.MetricOptions{Statistic: jsii.String("Maximum")}), 1)
	}
}

func (h *hubStack) newAlarm(id, means string, metric cw.IMetric, periods float64) {
	alarm := cw.NewAlarm(h.Stack, jsii.String(id), &cw.AlarmProps{
		AlarmName: h.name(id), AlarmDescription: jsii.String(means),
		Metric: metric, Threshold: jsii.Number(1), EvaluationPeriods: jsii.Number(periods),
		ComparisonOperator: cw.ComparisonOperator_GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
		TreatMissingData:   cw.TreatMissingData_NOT_BREACHING,
	})
	if h.config.AlarmTopicARN == "" {
		return
	}
	topic := awssns.Topic_FromTopicArn(alarm, jsii.String("Topic"), jsii.String(h.config.AlarmTopicARN))
	alarm.AddAlarmAction(awscloudwatchactions.NewSnsAction(topic))
	alarm.AddOkAction(awscloudwatchactions.NewSnsAction(topic))
}
