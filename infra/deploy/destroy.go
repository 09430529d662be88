package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// destroy deletes an environment's application, and then its data stack, each
// only after the environment's name has been typed. The database with what it
// stands on, key and secrets are kept by their stack.
func (d deployment) destroy(ctx context.Context, in io.Reader) error {
	if _, known := d.parameters["data-"+d.environment]; !known {
		return fmt.Errorf("samconfig.toml has no environment %q", d.environment)
	}
	answers := bufio.NewScanner(in)
	steps := []struct{ stack, warning string }{
		{"cron-jobs-" + d.environment, "API, schedules, queues with their messages, and logs go; every job stops. What is recorded stays."},
		{d.dataStack(), "The way out, the migrations and the alarms go. The database with the network that it stands in, " +
			"the key and the secrets are KEPT, and cost on; docs/deploy.md tells how to remove them."},
	}
	for _, step := range steps {
		fmt.Fprintf(d.out, "deleting %s: %s\nType %s to go on: ", step.stack, step.warning, d.environment)
		if !answers.Scan() || strings.TrimSpace(answers.Text()) != d.environment {
			return fmt.Errorf("%s is left as it is", step.stack)
		}
		if _, err := d.command(ctx, nil, "sam", "delete", "--stack-name", step.stack, "--no-prompts"); err != nil {
			return err
		}
	}
	return nil
}
