;;@ more exports
  (@custom "orchestrator-plugin-manifest" "\80")
  (@custom "orchestrator-plugin-manifest" "\81\a1a\c0")
