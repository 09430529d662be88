// Command deploy brings an environment of samconfig.toml up to date on AWS, in
// the one order that is safe: the data stack, the schema, then the application
// that needs it. A release so expands the schema, and a rollback of the
// application finds nothing missing.
//
//	go run ./infra/deploy dev
//	go run ./infra/deploy destroy dev
//
// It drives the SAM and AWS command lines, which must be installed and signed
// in. Run it from the repository's root.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/cronjobs/cronjobs/infra/templatetest"
	"github.com/cronjobs/cronjobs/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	destroy := len(args) == 2 && args[0] == "destroy"
	if destroy {
		args = args[1:]
	}
	if len(args) != 1 {
		return fmt.Errorf("usage: deploy [destroy] dev|staging|prod")
	}
	if err := oneRegion(os.Getenv, os.Setenv); err != nil {
		return err
	}
	environments, err := templatetest.Environments("samconfig.toml")
	if err != nil {
		return err
	}
	version, err := newestVersion(migrations.FS)
	if err != nil {
		return err
	}
	d := deployment{
		environment: args[0], parameters: environments, schema: version,
		out: out, command: command, readFile: os.ReadFile, wait: wait,
	}
	if destroy {
		return d.destroy(ctx, os.Stdin)
	}
	return d.run(ctx)
}

// oneRegion gives both command lines the same region: the SAM CLI reads
// AWS_DEFAULT_REGION alone, and the AWS CLI prefers AWS_REGION. Where neither is
// set, the profile's holds for both.
func oneRegion(get func(string) string, set func(name, value string) error) error {
	const one, other = "AWS_REGION", "AWS_DEFAULT_REGION"
	region := cmp.Or(get(one), get(other))
	if fallback := cmp.Or(get(other), region); fallback != region {
		return fmt.Errorf("%s is %s and %s is %s: one region, please", one, region, other, fallback)
	}
	if region == "" {
		return nil
	}
	return errors.Join(set(one, region), set(other, region))
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// command runs a program with the environment's additions, shows what it says
// on standard error, and returns what it prints. A program that may ask, asks
// the terminal.
func command(ctx context.Context, environ []string, name string, args ...string) ([]byte, error) {
	var printed bytes.Buffer
	c := exec.CommandContext(ctx, name, args...) //nolint:gosec // no shell, and the names are this program's
	c.Env = append(os.Environ(), environ...)
	c.Stdin, c.Stderr = os.Stdin, os.Stderr
	c.Stdout = &printed
	if name == "sam" {
		c.Stdout = os.Stdout
	}
	if err := c.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", name, args[0], err)
	}
	return printed.Bytes(), nil
}
