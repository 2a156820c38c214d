// The questions of ../*.lua for Go: peer QUESTION N
//
// It prints the CPU time per operation in nanoseconds, or what the question
// asks for. Go code runs on one thread at a time, as the others do.
package main

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	limit = 100
	jobs  = 1000
)

func spawn(n int) {
	var all sync.WaitGroup
	slots := make(chan struct{}, limit)
	for i := 0; i < n; i++ {
		slots <- struct{}{}
		all.Add(1)
		go func() {
			<-slots
			all.Done()
		}()
	}
	all.Wait()
}

func spawnWait(n int) {
	for i := 0; i < n; i++ {
		done := make(chan struct{})
		go func() { close(done) }()
		<-done
	}
}

func sleep(n int) {
	var all sync.WaitGroup
	all.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			time.Sleep(time.Duration(rand.Float64() * 1e9))
			all.Done()
		}()
	}
	all.Wait()
}

// field reads a field of /proc/self/status, in bytes.
func field(name string) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		words := strings.Fields(line)
		if len(words) > 1 && words[0] == name+":" {
			kilobytes, _ := strconv.Atoi(words[1])
			return kilobytes * 1024
		}
	}
	panic(name)
}

func memory(n int) {
	var all sync.WaitGroup
	before := field("VmRSS")
	all.Add(n)
	for i := 0; i < n; i++ {
		nap := time.Duration(5e8 + rand.Float64()*5e8)
		go func() {
			time.Sleep(nap)
			all.Done()
		}()
	}
	all.Wait()
	fmt.Println((field("VmHWM") - before) / n)
}

func exchange(n int) {
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for i := 0; i < n; i++ {
			back <- <-there
		}
	}()
	for i := 0; i < n; i++ {
		there <- i
		if <-back != i {
			panic("wrong message")
		}
	}
}

func yield(n int) {
	var all sync.WaitGroup
	all.Add(jobs)
	for i := 0; i < jobs; i++ {
		go func() {
			for i := 0; i < n/jobs; i++ {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	all.Wait()
}

func cancel(n int) {
	var all sync.WaitGroup
	cancels := make([]context.CancelFunc, n)
	all.Add(n)
	for i := 0; i < n; i++ {
		ctx, stop := context.WithCancel(context.Background())
		cancels[i] = stop
		go func() {
			timer := time.NewTimer(time.Hour)
			select {
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
			}
			all.Done()
		}()
	}
	runtime.Gosched()
	for _, stop := range cancels {
		stop()
	}
	all.Wait()
}

func lateness(n int) {
	samples := make([]float64, n)
	for i := range samples {
		nap := time.Duration(5e5 + rand.Float64()*95e5)
		began := time.Now()
		time.Sleep(nap)
		samples[i] = float64(time.Since(began)-nap) / 1e6
	}
	sort.Float64s(samples)
	fmt.Printf("%.4f %.4f %.4f\n", samples[(n+1)/2-1],
		samples[(n*99+99)/100-1], samples[0])
}

func cpu() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	runtime.GOMAXPROCS(1)
	measured := map[string]func(int){"spawn": spawn, "spawn_wait": spawnWait,
		"sleep": sleep, "switch": exchange, "yield": yield, "cancel": cancel}
	printed := map[string]func(int){"memory": memory, "lateness": lateness}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	if question := printed[os.Args[1]]; question != nil {
		question(n)
		return
	}
	began := cpu()
	measured[os.Args[1]](n)
	fmt.Printf("%.1f\n", float64(cpu()-began)/float64(n))
}
