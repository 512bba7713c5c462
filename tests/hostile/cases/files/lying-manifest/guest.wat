;;@ more exports
  (@custom "orchestrator-plugin-manifest" "\dd\ff\ff\ff\ff")
