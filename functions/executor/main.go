// Command executor is the Lambda function of that name.
package main

import (
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
)

func main() { lambda.Start(app.Handler(config.Executor, app.NewExecutor)) }
