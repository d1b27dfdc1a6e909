package main

import (
	"os"
	"os/exec"
	"runtime"
)

// openBrowser shows url in the user's browser, where a desktop is there to show it on. It never fails the command.
func openBrowser(e *env, url string) {
	var name string
	var args []string
	switch runtime.GOOS {
	case "darwin":
		name, args = "open", []string{url}
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", url}
	default:
		if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
			return
		}
		name, args = "xdg-open", []string{url}
	}
	cmd := exec.CommandContext(e.ctx, name, args...)
	if err := cmd.Start(); err != nil {
		e.log.Debug("no browser opened", "err", err)
		return
	}
	go cmd.Wait() // reaps it; its exit code means nothing to us
}
