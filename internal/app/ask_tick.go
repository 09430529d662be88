package app

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
)

// tickAsker is how a tick is asked for ahead of its minute; nil where nobody
// can be asked. The answer does not wait for the tick.
func (e Env) tickAsker(ctx context.Context) (func(context.Context) error, error) {
	name := e.Config.TickFunctionName
	if e.AskTick != nil || name == "" {
		return e.AskTick, nil
	}
	loaded, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region()))
	if err != nil {
		return nil, fmt.Errorf("tick: %w", err)
	}
	client := lambda.NewFromConfig(loaded)
	return func(ctx context.Context) error {
		_, err := client.Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String(name), InvocationType: types.InvocationTypeEvent})
		if err != nil {
			return fmt.Errorf("invoke %s: %w", name, err)
		}
		return nil
	}, nil
}
