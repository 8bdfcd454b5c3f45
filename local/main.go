// Command local runs the whole workflow on this machine.
//
//	go run ./local demo      apply a resource to four clusters and show it
//	go run ./local serve     keep the world running, for the AWS CLI and kubectl
//	go run ./local prepare   download or build the control plane's binaries, if they are not there
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/crossapply/crossapply/examples"
	"github.com/crossapply/crossapply/local/binaries"
	"github.com/crossapply/crossapply/local/demo"
	"github.com/crossapply/crossapply/local/emulator/awsapi/lambda"
	"github.com/crossapply/crossapply/local/world"
)

func main() { os.Exit(status(os.Args[1:])) }

// status runs a command and returns its exit status: 130 where it was
// interrupted, as shells have it.
func status(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends a clean-up that hangs
	err := run(ctx, args, os.Stdout)
	if err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	switch {
	case ctx.Err() != nil:
		fmt.Println("\nstopped")
		if err == nil {
			return 0 // serve is ended so
		}
		return 130
	case err != nil:
		return 1
	}
	return 0
}

// defaultAddress is where serve answers AWS calls.
const defaultAddress = "127.0.0.1:4566"

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return errors.New("say what to do: demo, serve or prepare")
	}
	flags := flag.NewFlagSet("local "+args[0], flag.ContinueOnError)
	address := flags.String("address", defaultAddress, "where AWS is served, for serve")
	request := flags.String("request", "", "a file with the execution's input, for demo (default: examples/rollout.json)")
	logs := flags.Bool("logs", false, "show the functions' logs")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("%q is not an option: see -h", flags.Arg(0))
	}
	config := world.Config{Progress: out}
	if *logs {
		config.FollowLogs = func(line lambda.Line) { _, _ = fmt.Fprintln(out, line.Text) }
	}
	switch args[0] {
	case "demo":
		body, err := read(*request)
		if err != nil {
			return err
		}
		return runDemo(ctx, config, body, out)
	case "serve":
		config.Address = *address
		return serve(ctx, config, out)
	case "prepare":
		_, err := binaries.Find(ctx, out)
		return err
	}
	return fmt.Errorf("%q is neither demo, serve nor prepare", args[0])
}

func read(file string) ([]byte, error) {
	if file == "" {
		return examples.Files.ReadFile("rollout.json")
	}
	return os.ReadFile(file)
}

// runDemo runs the same request twice: the second time there is nothing to change.
func runDemo(ctx context.Context, config world.Config, request []byte, out io.Writer) (err error) {
	w, err := world.Start(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	d := demo.Demo{AWS: w.Engineer(), StateMachineARN: w.StateMachineARN, Out: out, Terminal: isTerminal(out) && config.FollowLogs == nil}
	for _, title := range []string{"applying to a canary, then to the rest", "once more: nothing is left to change"} {
		_, _ = fmt.Fprintf(out, "\n==> %s\n", title)
		if _, err := d.Run(ctx, request); err != nil {
			return err
		}
	}
	kubeconfig, err := world.KubeconfigPath()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "\nTo look further, keep such a world running with `make local`, and in another terminal:\n%s",
		w.Guide("http://"+defaultAddress, kubeconfig))
	return nil
}

// serve keeps a world running until it is interrupted.
func serve(ctx context.Context, config world.Config, out io.Writer) (err error) {
	w, err := world.Start(ctx, config)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use: is another `make local` running? Stop it, or choose another address with -address", config.Address)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	kubeconfig, err := world.KubeconfigPath()
	if err != nil {
		return err
	}
	if err := w.WriteKubeconfig(kubeconfig); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(kubeconfig)) }() // nothing answers there any more
	_, _ = fmt.Fprintf(out, "\nThe world is running. In another terminal:\n%s\n"+
		"Ctrl-C ends it all.\n",
		w.Guide(w.AWS.URL(), kubeconfig))
	<-ctx.Done()
	return nil
}

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
