// Command testdb runs a command with a database for tests:
//
//	go run ./infra/local/testdb [-engine auto|server|embedded|path] -- command args…
//
// It starts a server that trades durability for speed, hands its address to the
// command as TEST_DB_HOST, TEST_DB_PORT, TEST_DB_USERNAME and TEST_DB_PASSWORD,
// stops it when the command is done, and exits with the command's status.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/cronjobs/cronjobs/infra/local/database"
)

// stopTimeout is how long the server may take to stop; nothing it holds is worth
// waiting for.
const stopTimeout = 5 * time.Second

func main() {
	engine := flag.String("engine", database.Auto, "the server: auto, server (an installed mysqld or mariadbd), embedded (TiDB), or the path of a mysqld or mariadbd")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	status, err := run(ctx, *engine, flag.Args())
	if err != nil {
		say(err.Error())
	}
	os.Exit(status)
}

// run returns the status to exit with.
func run(ctx context.Context, engine string, command []string) (int, error) {
	began := time.Now()
	server, err := database.StartForTests(ctx, engine, say)
	if err != nil {
		return 1, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		_ = server.Stop(ctx)
	}()
	say(fmt.Sprintf("%s on port %d, ready in %s", server.Engine, server.Port, time.Since(began).Round(time.Millisecond)))

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(),
		"TEST_DB_HOST="+server.Host,
		"TEST_DB_PORT="+strconv.Itoa(server.Port),
		"TEST_DB_USERNAME="+server.User,
		"TEST_DB_PASSWORD="+server.Password,
		"TEST_DB_ENGINE="+server.Engine,
		// For the tests that start a server of their own.
		"TEST_DB_CHOICE="+engine,
	)
	// An interrupt at a terminal reaches the command by itself; it is given time
	// to end in its own way.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

func say(line string) { fmt.Fprintln(os.Stderr, "testdb: "+line) }
