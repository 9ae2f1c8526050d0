package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every subcommand has an example that begins with its own name, or with that of
// a command below it.
func TestEveryCommandHasExamples(t *testing.T) {
	var check func(*cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Hidden {
			return // nobody is meant to call it
		}
		if cmd.HasParent() && !strings.Contains(cmd.Example, "  "+cmd.CommandPath()+" ") && strings.TrimSpace(cmd.Example) != cmd.CommandPath() {
			t.Errorf("%s has no example of itself: %q", cmd.CommandPath(), cmd.Example)
		}
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(newRoot())
}
