"""Many patients, one protocol: pure rules that know no simulation and no cluster."""
