// Package tencent calls Tencent's API for one account of WeChat or WeCom, with
// an access token that all nodes share.
//
// The calls are those of silenceper/wechat. That has one HTTP client for the
// whole process, hard-wired addresses, error texts with secrets in them, and no
// error that says its code; so its client is led through the account that a
// call's context names, which mends all four.
package tencent
