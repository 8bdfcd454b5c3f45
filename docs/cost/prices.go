// Package cost is what the workflow costs: what AWS charges, what an execution
// calls, and the product of the two. docs/cost.md is written from it, `make cost`
// prints it, and a test in local/world holds the counts to what executions call.
package cost

import (
	"strconv"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// Where and when the prices were read: list prices in US dollars, without the free
// tier.
const (
	Region = "eu-west-1"
	Read   = "November 2026"
)

// Price is what AWS charges for something.
type Price struct {
	// Service is who charges, and Source its page of prices.
	Service, Source string
	// USD are charged for so many units.
	USD  float64
	Per  int
	Unit string
}

// The prices. Those by the month are of a month in full.
var (
	Transition  = Price{"Step Functions, Standard", "https://aws.amazon.com/step-functions/pricing/", 0.025, 1_000, "state transitions"}
	GBSecond    = Price{"Lambda, Arm", "https://aws.amazon.com/lambda/pricing/", 0.0000133334, 1, "GB-second"}
	Invocation  = Price{"Lambda", "https://aws.amazon.com/lambda/pricing/", 0.20, 1_000_000, "requests"}
	Write       = Price{"S3 Standard", "https://aws.amazon.com/s3/pricing/", 0.005, 1_000, "PUT or LIST"}
	Get         = Price{"S3 Standard", "https://aws.amazon.com/s3/pricing/", 0.0004, 1_000, "GET"}
	Event       = Price{"EventBridge, custom events", "https://aws.amazon.com/eventbridge/pricing/", 1, 1_000_000, "events"}
	LogGB       = Price{"CloudWatch", "https://aws.amazon.com/cloudwatch/pricing/", 0.57, 1, "GB of logs"}
	Dashboard   = Price{"CloudWatch", "https://aws.amazon.com/cloudwatch/pricing/", 3, 1, "dashboard and month"}
	AlarmMetric = Price{"CloudWatch", "https://aws.amazon.com/cloudwatch/pricing/", 0.10, 1, "alarm metric and month"}
	Metric      = Price{"CloudWatch", "https://aws.amazon.com/cloudwatch/pricing/", 0.30, 1, "custom metric and month, by the hour"}
	Trace       = Price{"X-Ray", "https://aws.amazon.com/xray/pricing/", 5, 1_000_000, "traces"}
	KMSRequest  = Price{"KMS", "https://aws.amazon.com/kms/pricing/", 0.03, 10_000, "requests"}
	Key         = Price{"KMS", "https://aws.amazon.com/kms/pricing/", 1, 1, "key and month"}
)

// Prices returns all of them.
func Prices() []Price {
	return []Price{Transition, GBSecond, Invocation, Write, Get, Event, LogGB, Dashboard, AlarmMetric, Metric, Trace, KMSRequest, Key}
}

// String is the price in words, such as "0.025 per 1,000 state transitions".
func (p Price) String() string {
	per := ""
	if p.Per > 1 {
		per = number(p.Per) + " "
	}
	return amount(p.USD) + " per " + per + p.Unit
}

// Of returns what so many units cost.
func (p Price) Of(units float64) float64 { return units * p.USD / float64(p.Per) }

// amount is an amount of dollars in digits: all that it has, and two at least.
func amount(usd float64) string {
	if usd == float64(int(usd*100))/100 {
		return strconv.FormatFloat(usd, 'f', 2, 64)
	}
	return strconv.FormatFloat(usd, 'f', -1, 64)
}

// number is a number as people write it: 10,000.
func number(n any) string { return message.NewPrinter(language.English).Sprint(n) }
