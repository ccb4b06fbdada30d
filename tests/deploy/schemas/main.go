// Command schemas reads deployment files as the programs read them that they are for, and prints what they hold as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

var readers = map[string]func(path string) (any, error){
	"kubernetes":    readManifests,
	"compose":       readCompose,
	"containerfile": readContainerfile,
}

func main() {
	if len(os.Args) != 3 || readers[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: schemas kubernetes|compose|containerfile FILE")
		os.Exit(2)
	}
	read, err := readers[os.Args[1]](os.Args[2])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(read)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
