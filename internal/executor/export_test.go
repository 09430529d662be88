package executor

// Begun is begun, for its test.
var Begun = begun
