// Package telemetry shows what a server does: figures for Prometheus, and
// traces that follow a job from the message that asked for it to the reply.
//
// It observes and decides nothing. Labels take few values: statuses, stages,
// accounts of the config, and words of this package.
package telemetry
