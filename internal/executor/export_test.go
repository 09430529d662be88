package executor

// Begun is begun, for its test.
var Begun = begun

// Origin is origin, for its test.
var Origin = origin
