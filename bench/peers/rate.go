// The question "try" of ../policies.lua for golang.org/x/time/rate: rate try N
//
// It prints the CPU time of a call of Allow in nanoseconds.
package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/time/rate"
)

func cpuNs() int64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return usage.Utime.Nano() + usage.Stime.Nano()
}

func main() {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	limiter := rate.NewLimiter(1e9, 1000000000)
	before := cpuNs()
	for i := 0; i < n; i++ {
		limiter.Allow()
	}
	fmt.Printf("%.1f\n", float64(cpuNs()-before)/float64(n))
}
