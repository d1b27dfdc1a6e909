// Command swarm measures how chunks spread: the scenarios of a table on both engines of murmur sim, beside stock
// gossipsub, and latency by the size of the audience. It only runs the command, keeps what it printed, and writes what
// is kept as a table and a plot; murmur sim does the work.
//
//	go run ./bench/swarm                                    everything: hours
//	go run ./bench/swarm --engine model                     the model engine alone: half an hour
//	go run ./bench/swarm --only home200 --engine model --seeds 1
//	go run ./bench/swarm --engine gossipsub-model           the model of stock gossipsub: minutes
//	go run ./bench/swarm --skip                             what is not measured yet in this version
//	go run ./bench/swarm --only home200 --engine stack --seed 2 --seeds 2    two more seeds for a row that has the first
//	go run ./bench/swarm --growth --engine model            latency by audience
//	go run ./bench/swarm --only none                        table and plot from what is kept
//
// Each measurement is a file in results: the command, the version, and the JSON that the command printed. Rows of real nodes are
// measured seed by seed, two at a time, and what is measured is kept at once. A version is the last commit that changed what the
// row's engine runs.
package main
