package main

import (
	"context"
	"path/filepath"

	"github.com/compose-spec/compose-go/v2/cli"
)

// readCompose returns the project as Compose itself loads it: by its schema, with everything resolved.
func readCompose(path string) (any, error) {
	options, err := cli.NewProjectOptions(
		[]string{path}, cli.WithWorkingDirectory(filepath.Dir(path)), cli.WithName("tested"),
	)
	if err != nil {
		return nil, err
	}
	return options.LoadProject(context.Background())
}
