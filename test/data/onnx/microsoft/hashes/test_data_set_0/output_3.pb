B
hash_int32Jì¹´¹%Û;Y¦¼c÷cÅìuÔs