// Command app is what the tests run in containers: its arguments say what it does.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	switch os.Args[1] {
	case "wait":
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM, syscall.SIGQUIT)
		if len(os.Args) > 2 {
			fmt.Println(os.Args[2])
		}
		fmt.Println("ended by", <-ended)
	case "exit":
		code, _ := strconv.Atoi(os.Args[2])
		os.Exit(code)
	case "lines":
		n, _ := strconv.Atoi(os.Args[2])
		w := bufio.NewWriter(os.Stdout)
		for i := range n {
			fmt.Fprintln(w, "line", i)
		}
		w.Flush()
		fmt.Fprintln(os.Stderr, "complaint")
	case "speak":
		fmt.Print("out")
		fmt.Fprint(os.Stderr, "err")
		os.Exit(7)
	case "long":
		fmt.Print(strings.Repeat("x", 3<<20))
	case "print":
		fmt.Print(os.Getenv(os.Args[2]))
	}
}
