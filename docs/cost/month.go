package cost

// What a deployment has that is paid by the month.
const (
	// DashboardMetrics is how many metrics the dashboard shows: more than the 50 up to
	// which an account's first three dashboards are free.
	DashboardMetrics = 61
	// AlarmMetrics is how many metrics the alarms look at: 2 in ExecutionFailed, 1 in
	// ExecutionAborted, 2 in TargetFailed, 1 in TargetRolledBack, 2 in TargetDrifted, 1 in
	// AccountNotListed, and one for each function in FunctionThrottled.
	AlarmMetrics = 16
	// ScheduleAlarmMetrics is how many more there are with schedules: ScheduleGaveUp.
	ScheduleAlarmMetrics = 1
)

// Month is what a deployment is charged for a month in which nothing runs.
func Month(schedules, key bool) float64 {
	alarms, total := AlarmMetrics, Dashboard.Of(1)
	if schedules {
		alarms += ScheduleAlarmMetrics
	}
	if key {
		total += Key.Of(1)
	}
	return total + AlarmMetric.Of(float64(alarms))
}
