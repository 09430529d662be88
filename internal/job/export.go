package job

import "context"

// exportBatch is how many jobs are read at once: with the largest bodies and
// headers, some 16 MB.
const exportBatch = 200

// Export hands jobs to take, by ascending id, from the first after an id: at
// most limit, and none after take has refused one. Their secrets are masked. A
// category of 0 is any. more says that jobs were left, which begin after the
// last that take accepted.
func (s *Service) Export(ctx context.Context, afterID, categoryID int64, limit int, take func(Job) (bool, error)) (more bool, err error) {
	for taken := 0; ; {
		// One more than wanted, which tells whether any is left.
		batch := min(exportBatch, limit-taken+1)
		page, err := s.store.ExportJobs(ctx, afterID, categoryID, batch)
		if err != nil {
			return false, err
		}
		for _, j := range page {
			if taken == limit {
				return true, nil
			}
			j.Request = j.Request.Masked()
			if ok, err := take(j); err != nil || !ok {
				return !ok, err
			}
			taken++
			afterID = j.ID
		}
		if len(page) < batch {
			return false, nil
		}
	}
}
