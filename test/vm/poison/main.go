// Command poison is a program of a system that is broken on purpose, such as its
// init: it says what it does, and ends or hangs, as the kernel's command line
// says.
package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	say := func(text string) {
		if kmsg, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0); err == nil {
			fmt.Fprintln(kmsg, "<1>poison: "+text)
			kmsg.Close()
		}
	}

	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		say(err.Error())
	}

	if strings.Contains(string(cmdline), "poison.hang") {
		say("hanging")

		// The watchdog is armed, and nobody feeds it. Waiting for nothing at all
		// would be found out, and ended.
		for range time.Tick(time.Hour) {
		}
	}

	say("exiting")
	os.Exit(1)
}
