// Command app is the sample application of the lab and the demo: a small web server or worker whose version, health,
// start, crashes, memory and logs are set by environment variables, in the image or at run time. lab/README.md lists
// them.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	log.SetOutput(os.Stdout)
	if len(os.Args) > 1 && os.Args[1] == "migrate" {
		os.Exit(migrate(os.LookupEnv))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		os.Exit(commands[os.Args[1]](os.Args[2:]))
	}
	os.Exit(run(ctx, os.Args[1:]))
}

// run does what the first argument (else APP_MODE) says and returns the exit code.
func run(ctx context.Context, args []string) int {
	settings, err := readSettings(os.LookupEnv, args)
	if err != nil {
		log.Print(err)
		return 2
	}
	if settings.mode == modeHealthy {
		return checkHealth(settings)
	}
	return serve(ctx, settings)
}

// serve boots as the settings say and works until the context ends.
func serve(ctx context.Context, s settings) int {
	log.Printf("booting version=%s mode=%s", s.version, s.mode)
	for n := range s.logLines {
		log.Printf("boot line %d", n+1)
	}
	ballast := fill(s.memoryMiB)
	defer runtime.KeepAlive(ballast)

	if s.crash && s.crashAfter == 0 {
		log.Printf("crashing at boot with exit code %d", s.crashCode)
		return s.crashCode
	}
	if !pause(ctx, s.startDelay) {
		return 0
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	crashed := make(chan struct{})
	if s.crash {
		time.AfterFunc(s.crashAfter, func() { close(crashed); cancel() })
	}

	code := 0
	if s.mode == modeWorker {
		work(ctx, s)
	} else if err := listen(ctx, s); err != nil {
		log.Print(err)
		code = 1
	}
	select {
	case <-crashed:
		log.Printf("crashing after %s with exit code %d", s.crashAfter, s.crashCode)
		return s.crashCode
	default:
	}
	log.Print("stopped")
	return code
}

// work logs a line each second until the context ends; it listens nowhere.
func work(ctx context.Context, s settings) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		log.Printf("worker version=%s tick=%d", s.version, n)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// checkHealth is the `app healthy` command: 0 when a check from inside the container passes, 1 when it does not.
func checkHealth(s settings) int {
	if s.worker {
		if s.sick {
			fmt.Println(sickness)
			return 1
		}
		return 0
	}
	client := &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	response, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/up", s.port))
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer response.Body.Close()
	_, _ = io.Copy(os.Stdout, io.LimitReader(response.Body, 1024))
	if response.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}

// pause waits for d and reports false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// fill returns mib MiB of memory that is really used: a page nobody wrote to costs nothing.
func fill(mib int) []byte {
	memory := make([]byte, mib<<20)
	for i := 0; i < len(memory); i += 4096 {
		memory[i] = 1
	}
	return memory
}
