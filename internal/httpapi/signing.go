package httpapi

import (
	"context"
	"net/http"
)

// signingKeyView is a signing key, which is told this once.
type signingKeyView struct {
	Secret string `json:"secret" doc:"What the target verifies signatures with. It is shown this once." example:"whsec_…"`
}

func (s *server) createSigningKey(ctx context.Context, in *ByID) (One[signingKeyView], error) {
	key, err := s.Jobs.RotateSigningKey(ctx, in.ID)
	if err != nil {
		return One[signingKeyView]{}, err
	}
	return One[signingKeyView]{
		Data: signingKeyView{Secret: key}, Status: http.StatusCreated,
		Message: "Keep the key; it is not shown again.",
	}, nil
}

func (s *server) deleteSigningKey(ctx context.Context, in *ByID) (None, error) {
	if err := s.Jobs.RemoveSigningKeys(ctx, in.ID); err != nil {
		return None{}, err
	}
	return None{Message: "The job's requests are not signed."}, nil
}
