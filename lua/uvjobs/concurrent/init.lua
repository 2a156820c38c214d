-- Functions that run as children of the current job: all, settled, race, any, map, each.

require "uvjobs.concurrent.all"
require "uvjobs.concurrent.first"
require "uvjobs.concurrent.map"
