;;@ more exports
  (@custom "orchestrator-plugin-manifest" {{deep}})

;;@ deep * 60000
"\91"
