package world

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/emulator/asl/jsonata"
	"github.com/crossapply/crossapply/local/emulator/awsapi"
	"github.com/crossapply/crossapply/local/emulator/awsapi/iam"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/emulator/awsapi/states"
	"github.com/crossapply/crossapply/local/emulator/cluster"
	"github.com/crossapply/crossapply/local/operator"
	"github.com/crossapply/crossapply/shared/contract"
)

// Config says what the world is made of.
type Config struct {
	// Address to listen on for AWS calls; empty means a free port.
	Address string
	// Deployment names one of those in the folder deployments, such as those that are
	// called as their AWS partitions; empty means aws.
	Deployment string
	// Clusters are the EKS clusters with an API server each; nil means [Demo], or none
	// where there is a fleet.
	Clusters []Cluster
	// Fleet, if not nil, adds clusters that share API servers.
	Fleet *Fleet
	// PollWindow is how long one call of poll watches; 0 means poll's default.
	PollWindow time.Duration
	// Operator tunes the stand-in operator of every cluster.
	Operator operator.Options
	// Progress is told, in lines, what is being set up; nil discards it.
	Progress io.Writer
	// FollowLogs, if not nil, gets every line that a function prints.
	FollowLogs func(lambda.Line)
	// Sandboxes is how many processes of one function work at a time, at most: see
	// [lambda.Config]. 0 means no limit.
	Sandboxes int
	// Intercept has the functions' requests to the clusters go through a proxy, so
	// that they too are calls of [lambda.Service.OnCall], which tests kill functions
	// by. It costs a little time for each request.
	Intercept bool
	// Pause says how long a pause of an execution really is, that of a Wait state or
	// before a retry; nil: as long as it should be.
	Pause func(time.Duration) time.Duration
}

// Cluster is a pretend EKS cluster. It must be one of the deployment, which
// gives access to it. The zero value of everything but the target is a healthy
// one that crossapply has access to.
type Cluster struct {
	contract.Target
	// Tags are its tags in EKS.
	Tags map[string]string
	// Status is EKS's status of the cluster; empty means ACTIVE.
	Status string
	// Absent: EKS describes the cluster, but nothing listens at its endpoint.
	Absent bool
	// Unmapped: the cluster has no access entry for the access role.
	Unmapped bool
	// NoRBAC: nothing is bound to the access role's group.
	NoRBAC bool
	// NoCRD: the operator and its CRD are not installed.
	NoCRD bool
	// OtherExternalID: the access role of the cluster's account expects another
	// external id than the hub's. It holds for the whole account.
	OtherExternalID bool
}

// Demo returns the four clusters in three accounts of the examples, with tags that say
// what each is for.
func Demo() []Cluster {
	at := func(account, region, name, env string) Cluster {
		return Cluster{Target: contract.Target{Account: account, Region: region, Cluster: name}, Tags: map[string]string{"env": env}}
	}
	return []Cluster{
		at("111111111111", "eu-west-1", "payments", "prod"),
		at("111111111111", "us-east-1", "payments", "stage"),
		at("222222222222", "eu-west-1", "analytics", "stage"),
		at("333333333333", "eu-central-1", "retail", "prod"),
	}
}

// World is a running world.
type World struct {
	// AWS is the AWS side: its URL is the endpoint for every service.
	AWS *awsapi.Server
	// States is the Step Functions part of AWS, whose Wait waits for executions.
	States *states.Service
	// StateMachineARN is the workflow's state machine in the hub account.
	StateMachineARN string
	// Deployment is what it was started from.
	Deployment Deployment

	dir       string
	clusters  []Cluster
	members   []Cluster // of the fleet
	control   *cluster.ControlPlane
	fleet     *cluster.Fleet     // nil: there is none
	shared    []*cluster.Cluster // its API servers
	operators []*operator.Operator
}

// Start builds what is missing, starts everything, and returns when an execution
// can be started. The context bounds the start only. After an error nothing is
// left running.
func Start(ctx context.Context, config Config) (_ *World, err error) {
	if config.Clusters == nil && config.Fleet == nil {
		config.Clusters = Demo()
	}
	if config.Progress == nil {
		config.Progress = io.Discard
	}
	w := &World{clusters: config.Clusters}
	if config.Fleet != nil {
		w.members = config.Fleet.Members
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.dir, err = os.MkdirTemp("", "crossapply-world-"); err != nil {
		return nil, fmt.Errorf("start the local world: %w", err)
	}
	for _, step := range []struct {
		name string
		do   func(context.Context, Config) error
	}{
		{"the function binaries and the AWS endpoints", w.startAWS},
		{"the API servers", w.startClusters},
		{"the operators", w.startOperators},
		{"the state machine", w.startWorkflow},
	} {
		_, _ = fmt.Fprintf(config.Progress, "==> %s\n", step.name)
		if err := step.do(ctx, config); err != nil {
			return nil, fmt.Errorf("start %s: %w", step.name, err)
		}
	}
	return w, nil
}

func (w *World) startAWS(ctx context.Context, config Config) error {
	binaries := filepath.Join(w.dir, "functions")
	if err := buildFunctions(ctx, binaries); err != nil {
		return err
	}
	var err error
	if w.Deployment, err = loadDeployment(cmp.Or(config.Deployment, "aws")); err != nil {
		return err
	}
	if config.Fleet != nil {
		if w.Deployment, err = w.Deployment.withAccounts(config.Fleet.accounts()); err != nil {
			return err
		}
	}
	var accounts []iam.Account
	var users []iam.User
	for _, id := range append(w.Deployment.targetAccounts(), w.Deployment.Account) {
		accounts = append(accounts, iam.Account{ID: id, Partition: w.Deployment.Partition()})
		users = append(users, engineer(w.Deployment.Partition(), id))
	}
	for policy := range w.Deployment.Policies {
		users = append(users, w.Deployment.person(policy))
	}
	roles, err := w.Deployment.roles(w.otherExternalID)
	if err != nil {
		return err
	}
	w.AWS, err = awsapi.Start(awsapi.Config{
		Address: config.Address, Region: w.Deployment.Region, FollowLogs: config.FollowLogs, Sandboxes: config.Sandboxes,
		Accounts: accounts, Users: users, Roles: roles,
		Buckets: w.Deployment.buckets(), Functions: w.Deployment.functions(binaries, config.PollWindow),
	})
	return err
}

func (w *World) startWorkflow(ctx context.Context, config Config) error {
	file, err := jsonata.Locate(".")
	if err != nil {
		return err
	}
	engine, err := jsonata.New(file, jsonata.Options{})
	if err != nil {
		return err
	}
	w.States = states.New(states.Config{Directory: w.AWS.IAM, Endpoint: w.AWS.URL, Engine: engine, Pause: config.Pause})
	w.AWS.Mount(w.States)
	w.StateMachineARN, err = createStateMachine(ctx, w.Engineer(), w.Deployment)
	return err
}

// otherExternalID says whether an account's access role expects another external
// id than the hub's.
func (w *World) otherExternalID(account string) bool {
	return slices.ContainsFunc(slices.Concat(w.clusters, w.members), func(c Cluster) bool { return c.Account == account && c.OtherExternalID })
}

// Engineer returns an SDK configuration with the keys of a person who may do
// everything in the hub account.
func (w *World) Engineer() aws.Config { return w.EngineerOf(w.Deployment.Account) }

// EngineerOf is Engineer for another account.
func (w *World) EngineerOf(account string) aws.Config {
	return w.AWS.UserConfig(engineer(w.Deployment.Partition(), account), w.Deployment.Region)
}

// Person returns an SDK configuration with the keys of a person of the hub account who
// has a managed policy of the deployment and no other right: "caller", "reader" or
// "approver".
func (w *World) Person(policy string) aws.Config {
	return w.AWS.UserConfig(w.Deployment.person(policy), w.Deployment.Region)
}

// Cluster returns the API server behind a target, and nil where there is none.
func (w *World) Cluster(target contract.Target) *cluster.Cluster {
	if w.control == nil {
		return nil
	}
	for _, c := range w.control.Clusters() {
		if c.ID() == target.String() {
			return c
		}
	}
	return nil
}

// Close ends everything that was started and waits for it. It may be called on a
// world that was started in part.
func (w *World) Close() error {
	var errs []error
	if w.States != nil {
		w.States.Close()
	}
	for _, o := range w.operators {
		errs = append(errs, o.Stop())
	}
	if w.AWS != nil {
		errs = append(errs, w.AWS.Close())
	}
	if w.fleet != nil {
		errs = append(errs, w.fleet.Close())
	}
	if w.control != nil {
		errs = append(errs, w.control.Close())
	}
	if w.dir != "" {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}

func (w *World) startClusters(ctx context.Context, config Config) error {
	found, err := binaries.Find(ctx, config.Progress)
	if err != nil {
		return err
	}
	sts, err := url.Parse(w.AWS.URL())
	if err != nil {
		return err
	}
	var specs []cluster.Spec
	for _, c := range w.clusters {
		if c.Absent || !c.active() {
			continue
		}
		spec, err := c.spec()
		if err != nil {
			return err
		}
		specs = append(specs, spec)
	}
	var fleet Fleet
	if config.Fleet != nil {
		fleet = config.Fleet.withDefaults(w.Deployment)
		shared, err := fleet.servers(w.Deployment)
		if err != nil {
			return err
		}
		specs = append(specs, shared...)
	}
	control := cluster.Config{Binaries: found, STS: sts, Clusters: specs, Logger: slog.New(slog.DiscardHandler)}
	if config.Intercept {
		control.Intercept = func(_ cluster.Spec, apiserver http.Handler) http.Handler { return w.AWS.InterceptKubernetes(apiserver) }
	}
	if w.control, err = cluster.Start(ctx, control); err != nil {
		return err
	}
	if config.Fleet != nil {
		running := w.control.Clusters()
		w.shared = running[len(running)-fleet.Servers:]
		if err := w.startFleet(fleet, sts, control.Intercept); err != nil {
			return err
		}
	}
	for _, c := range w.clusters {
		described, err := w.describe(c)
		if err != nil {
			return err
		}
		w.AWS.EKS.Put(described)
	}
	return nil
}

func (w *World) startOperators(ctx context.Context, config Config) error {
	operated := slices.Clone(w.shared)
	for _, c := range w.clusters {
		if running := w.Cluster(c.Target); running != nil && !c.NoCRD {
			operated = append(operated, running)
		}
	}
	for _, running := range operated {
		o, err := operator.Start(ctx, running.AdminConfig(), config.Operator)
		if err != nil {
			return fmt.Errorf("%s: %w", running.ID(), err)
		}
		w.operators = append(w.operators, o)
	}
	return nil
}
