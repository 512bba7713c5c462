;;@ fields
    (func
      {{open}}
      {{close}})

;;@ open * 50000
block
;;@ close * 50000
end
