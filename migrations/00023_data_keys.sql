-- +goose Up
-- The keys that secrets are sealed under, each wrapped under a master key that
-- is not in the database. The highest version that is not retired seals; the
-- others open what they have sealed until a rotation has sealed it anew.
CREATE TABLE data_keys (
    version    INT             NOT NULL,
    provider   VARCHAR(255)    CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    wrapped    VARBINARY(1024) NOT NULL,
    created_at DATETIME(3)     NOT NULL,
    retired_at DATETIME(3)     NULL,
    PRIMARY KEY (version)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_unicode_ci;

-- +goose Down
DROP TABLE data_keys;
