package main

import (
	"os"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

type stage struct {
	Name, Base   string
	Instructions []instruction
}

type instruction struct {
	Word   string
	Flags  []string
	Values []string
	IsExec bool
}

// readContainerfile returns the stages of a Containerfile, after its builder's own parser has taken every instruction.
func readContainerfile(path string) (any, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	parsed, err := parser.Parse(file)
	if err != nil {
		return nil, err
	}
	checked, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, err
	}
	stages := []stage{}
	for _, node := range parsed.AST.Children {
		if node.Value == "FROM" || node.Value == "from" {
			which := checked[len(stages)]
			stages = append(stages, stage{Name: which.Name, Base: which.BaseName})
			continue
		}
		if len(stages) == 0 {
			continue
		}
		last := &stages[len(stages)-1]
		last.Instructions = append(last.Instructions, taken(node))
	}
	return stages, nil
}

func taken(node *parser.Node) instruction {
	found := instruction{Word: node.Value, Flags: node.Flags, IsExec: node.Attributes["json"]}
	for next := node.Next; next != nil; next = next.Next {
		found.Values = append(found.Values, next.Value)
	}
	return found
}
