// Package sim describes what is simulated: scenarios (who is there, how they are connected, when they come and go,
// what goes wrong), where peers are on a plane or on the globe, and the results that a run is judged by.
//
// It runs nothing itself. sim/model runs a scenario with thousands of mesh/episub state machines under a discrete-event
// network; sim/stack runs it with hundreds of real nodes in virtual time; sim/trial runs it on either, with one system or
// two, and sim/report shows what came of it. bench/swarm keeps what was measured, and bench/gate holds changes to it.
// Everything a run needs beyond the scenario comes from its seed, so a run of the model can be repeated exactly, and one
// of the stack nearly so.
package sim
