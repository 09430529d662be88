// Package migrations holds the schema as SQL, one statement a file, numbered
// and never edited once released: a change is a new file. The statements run
// alike on MySQL 8.4 and 9, MariaDB 10.11 and TiDB.
package migrations

import "embed"

// FS holds the migrations in goose's format.
//
//go:embed *.sql
var FS embed.FS
