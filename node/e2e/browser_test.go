package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium with one tab.
type browser struct {
	t   testing.TB
	ctx context.Context
}

// openBrowser starts Chromium on an empty page.
func openBrowser(t testing.TB) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.WindowSize(1280, 900),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("autoplay-policy", "no-user-gesture-required"), chromedp.Flag("mute-audio", true),
		chromedp.WSURLReadTimeout(time.Minute))
	if path := os.Getenv("CHROMIUM"); path != "" {
		options = append(options, chromedp.ExecPath(path))
	}
	ctx, cancelAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancelTab := chromedp.NewContext(ctx)
	t.Cleanup(func() { cancelTab(); cancelAllocator() })
	b := &browser{t: t, ctx: ctx}
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatalf("Chromium did not start: %v", err)
	}
	return b
}

// open navigates to url.
func (b *browser) open(url string) {
	b.t.Helper()
	b.do("open "+url, chromedp.Navigate(url))
}

// do runs an expression, or another step without a value, in the page.
func (b *browser) do(what string, step chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	run(b, what, step)
}

// eval runs a JavaScript expression in the page and returns its value.
func eval[T any](b *browser, expression string) T {
	b.t.Helper()
	return run(b, expression, chromedp.Evaluate[T](expression))
}

func run[T any](b *browser, what string, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience*20*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, action)
	if err != nil {
		b.t.Fatalf("Chromium, %s: %v", strings.SplitN(what, "\n", 2)[0], err)
	}
	return value
}

// until waits for an expression to become true, which the page looks at ten times a second.
func (b *browser) until(within time.Duration, expression string) {
	b.t.Helper()
	within *= patience
	ctx, cancel := context.WithTimeout(b.ctx, within+10*time.Second)
	defer cancel()
	came, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`new Promise((resolve) => {
		const end = Date.now() + %d;
		const look = () => {
			if (%s) resolve(true);
			else if (Date.now() > end) resolve(false);
			else setTimeout(look, 100);
		};
		look();
	})`, within.Milliseconds(), expression), chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("Chromium, waiting for %s: %v", expression, err)
	}
	if !came {
		b.screenshot("failed")
		b.t.Fatalf("not within %v: %s; the page says %s", within, expression, eval[string](b, "JSON.stringify(window.murmur || null)"))
	}
}

// screenshot keeps a picture of the page in the folder that MURMUR_SCREENSHOTS names, if it does.
func (b *browser) screenshot(name string) {
	dir := os.Getenv("MURMUR_SCREENSHOTS")
	if dir == "" {
		return
	}
	png := run(b, "screenshot", chromedp.CaptureScreenshot())
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s.png", b.t.Name(), name)), png, 0o644); err != nil {
		b.t.Error(err)
	}
}
