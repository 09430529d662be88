package templatetest_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/infra/templatetest"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/execution"
)

const root = "../.."

var environments = []string{"dev", "staging", "prod"}

func load(t *testing.T, path string) *templatetest.Template {
	t.Helper()
	template, err := templatetest.Load(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func application(t *testing.T) *templatetest.Template {
	t.Helper()
	return load(t, "template.yaml")
}

func data(t *testing.T) *templatetest.Template {
	t.Helper()
	return load(t, "infra/data.yaml")
}

func parameters(t *testing.T) map[string]map[string]string {
	t.Helper()
	found, err := templatetest.Environments(filepath.Join(root, "samconfig.toml"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func resolve(t *testing.T, template *templatetest.Template, values map[string]string) *templatetest.Template {
	t.Helper()
	resolved, err := template.Resolve(values)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

// planned is DatabaseConnections of an environment.
func planned(t *testing.T, values map[string]string) int {
	t.Helper()
	connections, err := strconv.Atoi(values["DatabaseConnections"])
	if err != nil {
		t.Fatalf("DatabaseConnections: %v", err)
	}
	return connections
}

func report(t *testing.T, faults []string) {
	t.Helper()
	for _, fault := range faults {
		t.Error(fault)
	}
}

func TestEveryEnvironmentIsConfigured(t *testing.T) {
	t.Parallel()
	want := []string{"data-dev", "data-prod", "data-staging", "dev", "prod", "staging"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(parameters(t)))); diff != "" {
		t.Errorf("environments of samconfig.toml (-want +got):\n%s", diff)
	}
}

// The deployment finds the data stack by its name.
func TestStacksAreNamedAfterTheirEnvironment(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "samconfig.toml"))
	if err != nil {
		t.Fatal(err)
	}
	for environment := range parameters(t) {
		want := "[" + environment + ".global.parameters]\nstack_name = \"cron-jobs-" + environment + "\"\n"
		if !strings.Contains(string(text), want) {
			t.Errorf("samconfig.toml lacks %q", want)
		}
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	values := parameters(t)
	for _, environment := range environments {
		t.Run(environment, func(t *testing.T) {
			t.Parallel()
			dataValues := values["data-"+environment]
			report(t, templatetest.Application(resolve(t, application(t), values[environment]), planned(t, dataValues)))
			report(t, templatetest.Data(resolve(t, data(t), dataValues)))
			for name, value := range map[string]string{"Environment": environment, "Architecture": "arm64"} {
				if values[environment][name] != value || dataValues[name] != value {
					t.Errorf("%s is not %s in both stacks", name, value)
				}
			}
		})
	}
}

// Provisioned pollers are no environment's default, and a way to run the
// application all the same.
func TestProvisionedPollers(t *testing.T) {
	t.Parallel()
	values := maps.Clone(parameters(t)["prod"])
	maps.Copy(values, map[string]string{"FastPollers": "5", "SlowPollers": "2"})
	report(t, templatetest.Application(resolve(t, application(t), values), 140))
}

func TestDatabaseProxy(t *testing.T) {
	t.Parallel()
	values := maps.Clone(parameters(t)["prod"])
	values["DatabaseProxy"] = "true"
	report(t, templatetest.Application(resolve(t, application(t), values), 140))
}

func TestEveryEgress(t *testing.T) {
	t.Parallel()
	for _, egress := range []string{"instance", "gateway", "gateway-per-az", "existing"} {
		t.Run(egress, func(t *testing.T) {
			t.Parallel()
			report(t, templatetest.Data(resolve(t, data(t), map[string]string{"Egress": egress})))
		})
	}
}

func TestStacksJoin(t *testing.T) {
	t.Parallel()
	report(t, templatetest.Joint(application(t), data(t)))
}

// What the output promises is made of numbers that stand elsewhere.
func TestBurstCapacity(t *testing.T) {
	t.Parallel()
	for pollers, first := range map[string]string{"0": "at most 15", "5": "${FastPollers} pollers x 10 invocations"} {
		stack := resolve(t, application(t), map[string]string{"FastPollers": pollers})
		text := fmt.Sprint(stack.Outputs["BurstCapacity"].(templatetest.Object)["Value"])
		// The batch size is held to ten by a rule.
		want := fmt.Sprintf("x 10 messages x %d executions", execution.MaxChunk)
		if !strings.Contains(text, first) || !strings.Contains(text, want) {
			t.Errorf("%s pollers: %q lacks %q or %q", pollers, text, first, want)
		}
	}
}

// The SAM CLI hands on a value up to its first blank, and says nothing.
func TestEgressIsNotCutAtABlank(t *testing.T) {
	t.Parallel()
	declared := application(t).Parameters["EgressAllowCidrs"].(templatetest.Object)
	allowed := regexp.MustCompile(fmt.Sprint(declared["AllowedPattern"]))
	for value, want := range map[string]bool{
		"": true, "10.1.0.0/16": true, "10.1.0.0/16,fd00::/8": true, "10.1.0.0/16,": false, "10.1.0.0/16, 10.2.0.0/16": false, "10.1.0.0": false,
	} {
		if allowed.MatchString(value) != want {
			t.Errorf("%q is allowed: %v", value, !want)
		}
	}
}

func TestMakefileBuildsEveryFunction(t *testing.T) {
	t.Parallel()
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range functions(application(t), data(t)) {
		target := regexp.MustCompile(`(?m)^([\w-]+ )*build-` + id + `( [\w-]+)*:`)
		if !target.Match(makefile) {
			t.Errorf("the Makefile has no target build-%s", id)
		}
	}
}

func functions(templates ...*templatetest.Template) []string {
	var ids []string
	for _, template := range templates {
		for id, resource := range template.Resources {
			if resource.(templatetest.Object)["Type"] == "AWS::Serverless::Function" {
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// variables are the environment of a function as it would be deployed. What
// only AWS knows gets a made-up value of the right form.
func variables(template *templatetest.Template, function string) map[string]string {
	result := map[string]string{}
	collect := func(from any) {
		environment, _ := from.(templatetest.Object)["Environment"].(templatetest.Object)
		declared, _ := environment["Variables"].(templatetest.Object)
		for name, value := range declared {
			if reference, ok := value.(templatetest.Object); ok {
				value = "https://known-to-aws.example.com/" + name
				if strings.HasSuffix(fmt.Sprint(reference["Fn::GetAtt"]), ".Port") {
					value = 3306
				}
			}
			result[name] = fmt.Sprint(value)
		}
	}
	if shared, ok := template.Globals["Function"]; ok {
		collect(shared)
	}
	collect(template.Resources[function].(templatetest.Object)["Properties"])
	return result
}

var programs = map[string]config.Program{
	"ApiFunction": config.API, "TickFunction": config.Tick, "ExecutorFunction": config.Executor, "MigrateFunction": config.Migrate,
}

// Each program accepts the environment that its function is given.
func TestProgramsAcceptTheirEnvironment(t *testing.T) {
	t.Parallel()
	values := parameters(t)
	for _, environment := range environments {
		stacks := map[string]*templatetest.Template{
			"": resolve(t, application(t), values[environment]), "data-": resolve(t, data(t), values["data-"+environment]),
		}
		for _, stack := range stacks {
			for _, function := range functions(stack) {
				t.Run(environment+"/"+function, func(t *testing.T) {
					t.Parallel()
					var environ []string
					for name, value := range variables(stack, function) {
						environ = append(environ, name+"="+value)
					}
					if _, err := config.Parse(programs[function], environ); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// Every variable is one that a program reads, and every one that a program
// reads on AWS can be set there.
func TestVariablesAreThoseThatAreRead(t *testing.T) {
	t.Parallel()
	localOnly := []string{"PORT", "LOCAL_DATA_DIR", "LOCAL_DATABASE", "SECRETS_KEY_FILE", "SECRETS_PREVIOUS_KEY_FILE"}
	// Set by hand for as long as a master key is being replaced: docs/secrets.md.
	byHand := []string{"SECRETS_PREVIOUS_KEY_ARN"}
	declared := map[string]bool{}
	for _, stack := range []*templatetest.Template{resolve(t, application(t), nil), resolve(t, data(t), nil)} {
		for _, function := range functions(stack) {
			for name := range variables(stack, function) {
				declared[name] = true
				if !slices.Contains(config.Variables(), name) {
					t.Errorf("%s is given %s, which nothing reads", function, name)
				}
			}
		}
	}
	for _, name := range config.Variables() {
		if !declared[name] && !slices.Contains(slices.Concat(localOnly, byHand), name) {
			t.Errorf("no function is given %s", name)
		}
	}
}
