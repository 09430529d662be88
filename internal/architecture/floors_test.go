// Package architecture holds the shape of the house: which package may import
// which. It has no code of its own.
package architecture

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cronjobs/cronjobs/"

// floors are the packages from the ground up. A package imports only lower
// floors. Every package stands here, so that a new one gets its place on
// purpose.
var floors = [][]string{
	0: {
		"migrations", "internal/apperr", "internal/audit", "internal/schedule", "internal/config", "internal/telemetry", "internal/telemetry/emf",
		"internal/secret",
		"infra/local/database", "infra/local/sqsserver", "infra/local/sqspoller", "infra/cost",
		"infra/local/secretsserver", "infra/local/runtimeapi", "internal/mysql/rdsca", "internal/secretstore",
	},
	1: {"internal/execution", "internal/account"},
	2: {"internal/job"},
	3: {"internal/dispatch", "internal/executor", "internal/crontab"},
	4: {"internal/mysql", "internal/sqsqueue", "internal/kmskey", "internal/httpapi"},
	5: {"internal/mysql/mysqltest", "internal/app"},
	6: {"internal/simulation", "functions/api", "functions/tick", "functions/executor", "functions/migrate", "infra/local/system", "infra/local/testdb", "infra/local/seed", "infra/templatetest"},
	7: {"infra/local", "infra/local/simulate", "infra/local/bench", "infra/local/seedlarge", "infra/local/benchapi", "infra/local/repairrollups", "infra/local/rotatesecrets", "infra/local/openapi", "infra/local/chaos", "infra/local/coldstart", "infra/deploy"},
}

// onlyImporters are modules with a single door.
var onlyImporters = map[string][]string{
	"github.com/gorhill/cronexpr":                            {"internal/schedule"},
	"github.com/go-sql-driver/mysql":                         {"internal/mysql", "infra/local/database"},
	"github.com/doug-martin/goqu/v9":                         {"internal/mysql"},
	"github.com/aws/aws-sdk-go-v2/service/sqs":               {"internal/sqsqueue", "infra/local/sqspoller"},
	"github.com/aws/aws-sdk-go-v2/service/lambda":            {"internal/app"},
	"github.com/aws/aws-sdk-go-v2/service/kms":               {"internal/kmskey"},
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager":    {"internal/secretstore"},
	"github.com/danielgtaylor/huma/v2":                       {"internal/httpapi"},
	"github.com/golang-jwt/jwt/v5":                           {"internal/account"},
	"code.dny.dev/ssrf":                                      {"internal/executor"},
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter": {"internal/app"},
}

type listed struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var one listed
		if err := decoder.Decode(&one); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if len(one.GoFiles) > 0 {
			all = append(all, one)
		}
	}
}

func floorOf(path string) (int, bool) {
	for floor, names := range floors {
		if slices.Contains(names, path) {
			return floor, true
		}
	}
	return 0, false
}

func TestPackagesImportOnlyLowerFloors(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		seen[path] = true
		floor, ok := floorOf(path)
		if !ok {
			t.Errorf("%s stands on no floor: give it one here", path)
			continue
		}
		for _, imported := range p.Imports {
			below, own := strings.CutPrefix(imported, module)
			if !own {
				continue
			}
			if under, ok := floorOf(below); ok && under >= floor {
				t.Errorf("%s (floor %d) imports %s (floor %d)", path, floor, below, under)
			}
		}
	}
	for _, names := range floors {
		for _, name := range names {
			if !seen[name] {
				t.Errorf("%s has a floor and no code", name)
			}
		}
	}
}

func TestSomeModulesHaveOneDoor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		for _, imported := range p.Imports {
			for restricted, allowed := range onlyImporters {
				if (imported == restricted || strings.HasPrefix(imported, restricted+"/")) && !slices.ContainsFunc(allowed, func(a string) bool { return path == a }) {
					t.Errorf("%s imports %s; only %s may", path, imported, strings.Join(allowed, ", "))
				}
			}
		}
	}
}

func TestTheDomainKnowsNoAdapter(t *testing.T) {
	t.Parallel()
	domain := []string{"internal/apperr", "internal/schedule", "internal/execution", "internal/account", "internal/job", "internal/dispatch", "internal/crontab"}
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !slices.Contains(domain, path) {
			continue
		}
		for _, imported := range p.Imports {
			if imported == "database/sql" || imported == "net/http" && path != "internal/execution" || strings.HasPrefix(imported, "github.com/aws/") {
				t.Errorf("%s imports %s", path, imported)
			}
		}
	}
}
