package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// commands are what the program does for a person beside the app's own modes: what consoles and dumps are made of.
var commands = map[string]func(args []string) int{
	"console": func([]string) int { return talk() },
	"bytes":   func(args []string) int { return giveBytes(args) },
	"cat":     func([]string) int { return giveBack() },
	"env":     func(args []string) int { return giveVariables(args) },
	"fail":    func(args []string) int { return failAs(args) },
	"front":   stand,
}

// talk is a console: it tells the size of its terminal, now and when that changes, says when it is interrupted, answers each line, and ends
// with the code that `exit N` names, or 0 at the end of its input.
func talk() int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGWINCH, syscall.SIGINT, syscall.SIGTERM)
	lines := make(chan string)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(os.Stdin); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	fmt.Println("console of", bakedVersion(), size())
	for {
		select {
		case s := <-signals:
			switch s {
			case syscall.SIGWINCH:
				fmt.Println("resized", size())
			case syscall.SIGINT:
				fmt.Println("interrupted")
			default:
				return 143
			}
		case line, more := <-lines:
			if !more {
				return 0
			}
			if code, ok := strings.CutPrefix(line, "exit "); ok {
				n, _ := strconv.Atoi(code)
				return n
			}
			fmt.Println("you said:", line)
		}
	}
}

// size is the terminal's, as columns x rows.
func size() string {
	var window struct{ rows, columns, x, y uint16 }
	if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, 0, syscall.TIOCGWINSZ, uintptr(unsafe.Pointer(&window))); failed != 0 {
		return "no terminal"
	}
	return fmt.Sprintf("%dx%d", window.columns, window.rows)
}

// giveBytes writes so many bytes, of every value and always the same ones, and a line to standard error.
func giveBytes(args []string) int {
	n, err := strconv.ParseInt(strings.Join(args, ""), 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	fmt.Fprintln(os.Stderr, "a line beside it")
	if _, err := io.CopyN(os.Stdout, rand.NewChaCha8([32]byte{1}), n); err != nil {
		return 1
	}
	return 0
}

func giveBack() int {
	if _, err := io.Copy(os.Stdout, os.Stdin); err != nil {
		return 1
	}
	return 0
}

func giveVariables(names []string) int {
	for _, name := range names {
		fmt.Printf("%s=%s\n", name, os.Getenv(name))
	}
	return 0
}

// failAs ends with a code.
func failAs(args []string) int {
	fmt.Println("it fails as it was asked to")
	n, _ := strconv.Atoi(strings.Join(args, ""))
	return n
}
