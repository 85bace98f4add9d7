package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// floorServer is where the floor of HTTP listens.
type floorServer struct {
	Addr string `json:"addr"`
}

// playFloorServer is the role of a server that only hands each body back: the
// most that net/http can do with one request per job.
func playFloorServer(_ []byte, answer func(any) error, ended <-chan struct{}) error {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // lasts as long as the process
	if err != nil {
		return err
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
			if err != nil {
				return
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(body)
		}),
	}
	go func() {
		<-ended
		_ = server.Close()
	}()
	if err := answer(floorServer{Addr: l.Addr().String()}); err != nil {
		return err
	}
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// floorLoad sends requests to it with the client that pushes jobs.
type floorLoad struct {
	Addr  string `json:"addr"`
	Jobs  int    `json:"jobs"`
	Conns int    `json:"conns"`
}

func playFloorLoad(spec []byte, answer func(any) error, _ <-chan struct{}) error {
	var l floorLoad
	if err := json.Unmarshal(spec, &l); err != nil {
		return err
	}
	pushers := make([]*pusher, l.Conns)
	for i := range pushers {
		var err error
		if pushers[i], err = newPusher(l.Addr, "skd_floor", "bench"); err != nil {
			return err
		}
	}
	push := func(w, i int) error { return pushers[w].push(i) }
	ctx := context.Background()
	if err := pushAll(ctx, min(warmUp, l.Jobs), l.Conns, 0, push); err != nil {
		return err
	}
	begin := time.Now()
	if err := pushAll(ctx, l.Jobs, l.Conns, 0, push); err != nil {
		return err
	}
	return answer(outcome{Jobs: l.Jobs, Elapsed: time.Since(begin)})
}
