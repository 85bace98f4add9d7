package teams

import "net/http"

// Handler implements chat.Pushed.
func (a *Adapter) Handler() http.Handler { return http.NotFoundHandler() }
