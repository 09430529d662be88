package templatetest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

func (f *faults) database(t *Template) {
	for id, resource := range t.Resources {
		if at(resource, "UpdateReplacePolicy") == "Retain" || slices.Contains(precious, at(resource, "Type")) {
			f.equal(id, retain, t.Resources, id, "DeletionPolicy")
			f.equal(id, "Retain", t.Resources, id, "UpdateReplacePolicy")
		}
	}
	ids := t.ofType("AWS::RDS::DBInstance")
	if len(ids) != 1 {
		f.add("%d databases, not one", len(ids))
	}
	for _, id := range ids {
		f.kept(t, id)
		properties := at(t.Resources, id, "Properties")
		f.equal(id, "8.4", properties, "EngineVersion")
		f.equal(id, false, properties, "PubliclyAccessible")
		f.equal(id, true, properties, "StorageEncrypted")
		f.equal(id, "open-source-rds-extended-support-disabled", properties, "EngineLifecycleSupport")
		f.atLeast(id, 7, properties, "BackupRetentionPeriod")
		group := at(t.Resources, target(at(properties, "DBParameterGroupName")), "Properties")
		f.equal(id, "mysql8.4", group, "Family")
		for name, want := range map[string]string{
			"transaction_isolation": "READ-COMMITTED", "time_zone": "UTC", "require_secure_transport": "1",
			"wait_timeout": "120", "innodb_lock_wait_timeout": "5", "collation_server": "utf8mb4_0900_ai_ci",
		} {
			f.equal(id, want, group, "Parameters", name)
		}
	}
}

const proxyType = "AWS::RDS::DBProxy"

// proxy wants that functions that call the database by a proxy wait until it can
// sign in: only then are its targets done.
func (f *faults) proxy(t *Template) {
	if len(t.ofType(proxyType)) == 0 {
		return
	}
	for _, targets := range t.ofType("AWS::RDS::DBProxyTargetGroup") {
		host := fmt.Sprint(at(t.Globals, "Function", "Environment", "Variables", "DB_HOST"))
		if !strings.Contains(host, "${"+targets+"}") {
			f.add("%s: functions use the proxy before it can sign in", targets)
		}
	}
}

// databaseAlone wants the database reached from the functions, and from its proxy,
// and from nowhere else.
func (f *faults) databaseAlone(t *Template) {
	const database = "DatabaseSecurityGroup"
	allowed := []string{"FunctionSecurityGroup", "ExecutorSecurityGroup", database}
	if at(t.Resources, database, "Properties", "SecurityGroupIngress") != nil {
		f.add("%s: ways in that stand in the group itself", database)
	}
	for _, id := range t.ofType("AWS::EC2::SecurityGroupIngress") {
		properties := at(t.Resources, id, "Properties")
		if target(at(properties, "GroupId")) != database {
			continue
		}
		if source := target(at(properties, "SourceSecurityGroupId")); !slices.Contains(allowed, source) {
			f.add("%s: a way to the database from %q", id, source)
		}
		f.equal(id, 3306, properties, "FromPort")
		f.equal(id, 3306, properties, "ToPort")
	}
}

// retain keeps a resource when its stack goes, and lets it go again where the
// deployment that made it fails: it holds nothing then, and costs on.
const retain = "RetainExceptOnCreate"

// precious are the types of what nobody can make again.
var precious = []any{"AWS::RDS::DBInstance", "AWS::KMS::Key", "AWS::SecretsManager::Secret"}

// kept wants that what a kept resource stands on is kept as well: it is in use
// when the stack goes, so that deleting it would fail, and the stack with it.
func (f *faults) kept(t *Template, id string) {
	for _, below := range references(at(t.Resources, id, "Properties")) {
		if t.Resources[below] == nil {
			continue
		}
		if policy := at(t.Resources, below, "DeletionPolicy"); policy != retain {
			f.add("%s stands on %s, which is not kept", id, below)
		}
		f.kept(t, below)
	}
}

// references are the logical ids that a value names, as far as they are whole
// values.
func references(value any) []string {
	if id := target(value); id != "" {
		return []string{id}
	}
	var ids []string
	switch value := value.(type) {
	case Object:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			ids = append(ids, references(value[key])...)
		}
	case []any:
		for _, item := range value {
			ids = append(ids, references(item)...)
		}
	}
	return ids
}

// wayOut wants that the stack waits until a new NAT instance passes packets on:
// migrate is invoked as soon as the stack is done.
func (f *faults) wayOut(t *Template) {
	for _, id := range t.ofType("AWS::AutoScaling::AutoScalingGroup") {
		if at(t.Resources, id, "CreationPolicy", "ResourceSignal") == nil {
			f.add("%s: the stack does not wait for its first instance", id)
		}
		f.equal(id, true, t.Resources, id, "UpdatePolicy", "AutoScalingRollingUpdate", "WaitOnResourceSignals")
		launch := target(at(t.Resources, id, "Properties", "LaunchTemplate", "LaunchTemplateId"))
		script := fmt.Sprint(at(t.Resources, launch, "Properties", "LaunchTemplateData", "UserData"))
		if !strings.Contains(script, "cfn-signal -e $? --stack ${AWS::StackName} --resource "+id+" ") {
			f.add("%s: its instances do not tell the stack that they are ready", id)
		}
	}
}

// private are the ranges that a network of ours, or one joined to it, can have.
var private = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("100.64.0.0/10"),
}

// network checks that the functions' way out leads to public addresses alone.
func (f *faults) network(t *Template) {
	lists := map[string]int{}
	for _, id := range t.ofType("AWS::EC2::PrefixList") {
		entries, _ := at(t.Resources, id, "Properties", "Entries").([]any)
		lists[id], _ = number(t.Resources, id, "Properties", "MaxEntries")
		f.atLeast(id, len(entries), t.Resources, id, "Properties", "MaxEntries")
		for _, entry := range entries {
			prefix, err := netip.ParsePrefix(fmt.Sprint(at(entry, "Cidr")))
			if err != nil {
				f.add("%s: %v", id, err)
				continue
			}
			for _, own := range private {
				if prefix.Overlaps(own) {
					f.add("%s: %s reaches into %s", id, prefix, own)
				}
			}
		}
	}
	f.databaseAlone(t)
	f.wayOut(t)
	// AWS waits for a proxy to sign in, which it does as the user that migrate
	// makes after this stack is done.
	for _, id := range t.ofType(proxyType) {
		f.add("%s: a new data stack would wait for it in vain", id)
	}
	for _, id := range []string{"FunctionSecurityGroup", "ExecutorSecurityGroup"} {
		rules, _ := at(t.Resources, id, "Properties", "SecurityGroupEgress").([]any)
		if len(rules) == 0 {
			f.add("%s: without a rule, everything may go out", id)
		}
		// Room for the rules that stand outside: database, endpoints, a network.
		total := 3
		for _, rule := range rules {
			entries, known := lists[target(at(rule, "DestinationPrefixListId"))]
			if !known {
				f.add("%s: a way out that is not the list of public addresses", id)
			}
			total += max(entries, 1)
		}
		if total > 60 {
			f.add("%s: %d rules, over the quota of 60", id, total)
		}
	}
}
