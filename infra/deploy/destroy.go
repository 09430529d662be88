package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
)

// destroy deletes an environment's application, and then its data stack, each
// only after the environment's name has been typed. Database, key and secrets
// are kept by their stack.
func (d deployment) destroy(ctx context.Context, in io.Reader) error {
	if _, known := d.parameters["data-"+d.environment]; !known {
		return fmt.Errorf("samconfig.toml has no environment %q", d.environment)
	}
	answers := bufio.NewScanner(in)
	steps := []struct{ stack, warning string }{
		{"cron-jobs-" + d.environment, "API, schedules, queues with their messages, and logs go; every job stops. What is recorded stays."},
		{d.dataStack(), "Network and migrations go. The database, the key and the secrets are KEPT, and cost on; " +
			"remove them by hand. A protected database refuses its stack's end."},
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
