package httpapi

import (
	"fmt"
	"testing"
	"time"
)

func TestThrottle(t *testing.T) {
	t.Parallel()
	th, now := newThrottle(), time.Unix(1_000_000, 0)
	for i := range failedBurst {
		if _, blocked := th.blocked("192.0.2.1", now); blocked {
			t.Fatalf("blocked after %d failed logins", i)
		}
		th.failed("192.0.2.1", now)
	}
	wait, blocked := th.blocked("192.0.2.1", now)
	if !blocked || wait <= 0 || wait > failedEvery {
		t.Fatalf("after %d failed logins: blocked %t for %s", failedBurst, blocked, wait)
	}
	if _, blocked := th.blocked("192.0.2.2", now); blocked {
		t.Error("another address is blocked too")
	}
	if _, blocked := th.blocked("192.0.2.1", now.Add(wait)); blocked {
		t.Error("still blocked after the wait that was told")
	}
	if _, blocked := th.blocked("192.0.2.1", now.Add(-24*time.Hour)); !blocked {
		t.Error("a clock set back unblocked it")
	}
}

func TestThrottleCountsANetworkOnce(t *testing.T) {
	t.Parallel()
	th, now := newThrottle(), time.Unix(1_000_000, 0)
	for i := range failedBurst {
		th.failed(fmt.Sprintf("2001:db8::%x", i), now)
	}
	if _, blocked := th.blocked("2001:db8::ffff", now); !blocked {
		t.Error("another address of the same /64 is not blocked")
	}
	if _, blocked := th.blocked("2001:db8:0:1::1", now); blocked {
		t.Error("another network is blocked")
	}
}

func TestThrottleIsBounded(t *testing.T) {
	t.Parallel()
	th, now := newThrottle(), time.Unix(1_000_000, 0)
	for i := range 3 * throttleSize {
		th.failed(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), now)
	}
	if n := len(th.addrs); n > throttleSize {
		t.Errorf("%d addresses are remembered; at most %d should be", n, throttleSize)
	}
	later := now.Add(failedBurst * failedEvery)
	for i := range throttleSize {
		th.failed(fmt.Sprintf("11.0.%d.%d", i>>8, i&255), later)
	}
	if n := len(th.addrs); n > throttleSize {
		t.Errorf("%d addresses are remembered; at most %d should be", n, throttleSize)
	}
	for i := range passedSize + 10 {
		th.pass(fmt.Sprint(i))
	}
	if n := len(th.passed); n > passedSize {
		t.Errorf("%d tokens are remembered; at most %d should be", n, passedSize)
	}
}
