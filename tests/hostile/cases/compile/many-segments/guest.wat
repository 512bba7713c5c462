;;@ fields * 10000
(data "")
