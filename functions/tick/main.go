// Command tick is the Lambda function of that name. It reads its configuration,
// builds its handler and serves invocations.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
)

func main() {
	env, err := app.FromEnvironment(config.Tick)
	if err != nil {
		fail(err)
	}
	handler, _, err := app.NewTick(context.Background(), env)
	if err != nil {
		fail(err)
	}
	lambda.Start(handler)
}

// fail ends a start that cannot succeed; the text reaches the function's log.
func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
