package mailbox

import (
	"context"
	"fmt"
)

// Check logs in, opens each folder, and changes nothing.
func (b *Mailbox) Check(ctx context.Context) error {
	s, err := b.connect(ctx, false)
	if err != nil {
		return err
	}
	defer s.close()
	for _, name := range b.c.Folders {
		if _, err := s.selectFolder(name, b.c.Keyword); err != nil {
			return fmt.Errorf("folder %q: %w", name, err)
		}
	}
	return nil
}
