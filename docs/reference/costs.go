package main

import (
	"time"

	"github.com/crossapply/crossapply/docs/cost"
)

// costs are the figures that the page of costs asks for by name.
type costs struct {
	Region, Read string
	Prices       []cost.Price
	Parts        []part
	// What is paid by the month: the metrics that the dashboard shows, the alarms
	// without and with schedules, and all of it without and with schedules and a key.
	DashboardMetrics      int
	Dashboard, Key        cost.Price
	Alarms, MoreAlarms    cost.Line
	LeastMonth, FullMonth float64
	// What executions cost.
	Changed, Unchanged, Long cost.Estimate
}

type part struct {
	Name string
	cost.Part
}

func newCosts() costs {
	const targets = 1_000
	return costs{
		Region: cost.Region, Read: cost.Read, Prices: cost.Prices(),
		Parts: []part{
			{"an execution in one wave", cost.Execution},
			{"each further wave, check and rollback", cost.Phase},
			{"each wait and approval", cost.Pause},
			{"a target that is changed, and Ready within one window", cost.Changed},
			{"each further window", cost.Window},
			{"a target that is unchanged", cost.Unchanged},
		},
		DashboardMetrics: cost.DashboardMetrics, Dashboard: cost.Dashboard, Key: cost.Key,
		Alarms:     cost.Line{Units: cost.AlarmMetrics, Price: cost.AlarmMetric},
		MoreAlarms: cost.Line{Units: cost.AlarmMetrics + cost.ScheduleAlarmMetrics, Price: cost.AlarmMetric},
		LeastMonth: cost.Month(false, false),
		FullMonth:  cost.Month(true, true),
		Changed:    cost.Rollout{Targets: targets, Wait: 20 * time.Second}.Estimate(),
		Long:       cost.Rollout{Targets: targets, Wait: 15 * time.Minute, Key: true}.Estimate(),
		Unchanged:  cost.Rollout{Targets: targets}.Estimate(),
	}
}
