package chat

// Symbol returns the mark as one character, for channels that show plain
// text. None is an emoji, so that columns stay aligned. It is empty for a
// mark that is none.
func (m Mark) Symbol() string {
	switch m {
	case MarkWaiting:
		return "○"
	case MarkRunning:
		return "▸"
	case MarkSucceeded:
		return "✓"
	case MarkFailed:
		return "✗"
	case MarkExpired:
		return "⊘"
	case MarkCanceled:
		return "−"
	}
	return ""
}
